"""The one exception that means: what the user gave cannot be used; and the exit codes of commands."""

EXIT_INPUT_ERROR = 2  # of a command that ends with it
EXIT_INTERRUPTED = 75  # of a training that was asked to stop, and can go on where it did


class InputError(ValueError):
    """A config, file or annotation that cannot be used.

    Its message names the file or config key, what is wrong there, and the fix. Entry points print the message alone
    and exit with 2; every other exception is a failure of ours and keeps its traceback.
    """
