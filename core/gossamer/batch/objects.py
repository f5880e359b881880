"""Pictures that are objects in a store."""

from __future__ import annotations

from gossamer.batch.addresses import Address, ObjectStatus
from gossamer.errors import InputError
from gossamer.image import Image
from gossamer.image.limits import check_length
from gossamer.image.read import image_of
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress

__all__ = ["read_object"]


def read_object(address: Address, status: ObjectStatus | None = None, steps: Progress | None = None) -> Image:
    """Read a picture.

    Parameters
    ----------
    address : Address
    status : ObjectStatus, optional
        What the store tells of it, where that is newer than what the address has.
    steps : Progress, optional
        May raise to cancel.

    Raises
    ------
    InputError
        It is not there, or no picture, or the store does not give it.
    """
    status, steps = status or address.status, steps or Progress()
    if status is None:
        raise InputError(f"{address} does not exist.", "Check its bucket and name.")
    check_length(status.st_size, str(address))
    data = address.read(0, status.st_size, steps)
    if len(data) != status.st_size:
        raise InputError(
            f"Of {address} there came {len(data)} of {status.st_size} bytes.", "Run it again with --resume."
        )
    return patiently(lambda: image_of(data, str(address), address.stem), steps)
