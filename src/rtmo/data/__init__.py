"""Images with people: sources, augmentation, batches."""

import os

# Before any module here imports albumentations: its import asks the network for a newer release otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
