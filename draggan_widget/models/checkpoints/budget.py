"""What one file may cost to read, all that is nested in it included."""

from __future__ import annotations

import dataclasses

from draggan_widget.models.checkpoints.values import Unreadable

MOST_STEPS = 400_000
"""Pickle opcodes and the like, of a small file. The largest of the published networks take some 100 000."""
BYTES_A_STEP = 4
"""Beyond that a file has a step for so many of its bytes: a discriminator of thousands of modules next to a generator
takes one for each three."""
MOST_STEPS_OF_ALL = 2_000_000
SHARING = 4
"""How often over a file's bytes may be used: tensors may share a storage, and one text be encoded again."""
COPYING = 6
"""How often over a file's bytes may be copied: read, unpacked from a file within it, moved to where numbers may lie."""
SPARE = 1 << 20
"""Bytes that every file may make, however small it is."""
MOST_UNPACKED = 4 << 30
SPARE_UNPACKED = 64 << 20
"""Bytes that every archive may unpack to. Weights can hardly be compressed, so beyond it counts ``SHARING`` too."""
MOST_LAYERS = 4
"""Files in files: an archive, in it a pickle, in it storages."""


@dataclasses.dataclass
class Budget:
    """Counts down what reading a file costs, so that no file costs more than its size warrants."""

    bytes_left: int
    copying_left: int
    unpacking_left: int
    steps_left: int = MOST_STEPS
    layers_left: int = MOST_LAYERS

    @classmethod
    def of(cls, size: int) -> Budget:
        """Return the budget of a file in which ``size`` bytes are written; holes of a sparse file are none."""
        unpacking = min(MOST_UNPACKED, SHARING * size + SPARE_UNPACKED)
        steps = min(MOST_STEPS + size // BYTES_A_STEP, MOST_STEPS_OF_ALL)
        return cls(SHARING * size + SPARE, COPYING * size + SPARE, unpacking, steps)

    def spend_bytes(self, number: int, thing: str) -> None:
        """:raises Unreadable: if with these all the ``thing``s so far need more bytes than the file could fill."""
        self.bytes_left -= number
        if number < 0 or self.bytes_left < 0:
            raise Unreadable(f"claims more bytes of {thing} than the file can hold: damaged or made to do harm")

    def spend_copying(self, number: int) -> None:
        """:raises Unreadable: if with these all bytes that were read or moved are far more than the file's own."""
        self.copying_left -= number
        if number < 0 or self.copying_left < 0:
            raise Unreadable(
                "has bytes that are used over and over, or long stretches that were never written: "
                "cut short, damaged or made to do harm"
            )

    def spend_unpacking(self, number: int) -> None:
        """Unpack so many bytes of a compressed archive, which may be used as those of the file itself.

        :raises Unreadable: if an archive unpacks to far more than itself.
        """
        self.unpacking_left -= number
        if self.unpacking_left < 0:
            raise Unreadable(
                "is an archive that unpacks to far more than its size, as no weights do: no model, or made to do harm"
            )
        self.bytes_left += SHARING * number
        self.copying_left += COPYING * number

    def spend_steps(self, number: int) -> None:
        """:raises Unreadable: if the file takes more steps than any model does."""
        self.steps_left -= number
        if self.steps_left < 0:
            raise Unreadable(f"takes more steps to read than any model of its size, at least {MOST_STEPS:,}")

    def enter(self) -> Budget:
        """Begin a file within the file; ``leave`` afterwards. :raises Unreadable: if they are too many deep."""
        self.layers_left -= 1
        if self.layers_left < 0:
            raise Unreadable("nests files in files without end")
        return self

    def leave(self) -> None:
        """End a file within the file."""
        self.layers_left += 1
