"""Cases of the rules on log groups."""

from __future__ import annotations

from functools import partial

from tests.policies.cases import Case, Given, Hidden
from tests.policies.parts import log_group

CASES = {
    "log-retention": Case(
        violated=(
            partial(log_group, "orders", retention_in_days=None),
            partial(log_group, "orders", retention_in_days=0),
            partial(log_group, "orders", retention_in_days=5),
            partial(log_group, "orders", retention_in_days=545),
            Given(program=partial(log_group, "orders", retention_in_days=30), settings={"at-least": 90}),
        ),
        satisfied=(
            partial(log_group, "orders"),
            partial(log_group, "orders", retention_in_days=7),
            partial(log_group, "orders", retention_in_days=400),
        ),
        unknown=(Hidden(resource="orders", path="retentionInDays"), Hidden(resource="orders", path="logGroupClass")),
        not_applicable=partial(log_group, "orders", log_group_class="DELIVERY", retention_in_days=None),
    ),
}
