"""The weight of a Pod as a backend, read from its label.

Invariant: a weight is an integer in 0..65535, the range of an IPVS destination's weight in practice; 0 drains.
"""

import re
from collections.abc import Mapping

WEIGHT_LABEL = "svcproxy.io/weight"
MAXIMUM_WEIGHT = 65535
_DIGITS = re.compile(r"[0-9]{1,5}")


def pod_weight(labels: Mapping[str, str]) -> int | None:
    """The weight that `labels` ask for, or None when the label is absent or is not an integer in 0..65535.

    `validate_pod` tells the two cases of None apart.
    """
    text = labels.get(WEIGHT_LABEL, "")
    if not _DIGITS.fullmatch(text) or int(text) > MAXIMUM_WEIGHT:
        return None
    return int(text)
