"""The one exception that means: what the user gave cannot be used."""

EXIT_INPUT_ERROR = 2  # the exit code of a command that ends with it


class InputError(ValueError):
    """A config, file or annotation that cannot be used.

    Its message names the file or config key, what is wrong there, and the fix. Entry points print the message alone
    and exit with 2; every other exception is a failure of ours and keeps its traceback.
    """
