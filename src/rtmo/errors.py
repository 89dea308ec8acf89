"""The exceptions whose message says all: input that cannot be used, a run that cannot go on; and exit codes."""

EXIT_INPUT_ERROR = 2  # of a command that ends with it
EXIT_INTERRUPTED = 75  # of a training that was asked to stop, and can go on where it did


class InputError(ValueError):
    """A config, file or annotation that cannot be used.

    Its message names the file or config key, what is wrong there, and the fix. Entry points print the message alone
    and exit with 2.
    """


class RunError(RuntimeError):
    """A run that cannot go on although its input is sound: the machine failed it, or its numbers did.

    Its message says what happened and what to do. Entry points print the message alone and exit with 1; every exception
    but these two is a failure of ours and keeps its traceback.
    """
