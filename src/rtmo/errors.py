"""The one exception that means: what the user gave cannot be used."""


class InputError(ValueError):
    """A config, file or annotation that cannot be used.

    Its message names the file or config key, what is wrong there, and the fix. Entry points print the message alone
    and exit with 2; every other exception is a failure of ours and keeps its traceback.
    """
