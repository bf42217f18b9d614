"""What the incident room's verbs do, for programs: the management API's operations on them."""

from statuspage.kernel.operations import Operation
from statuspage.site.manage import (
    act_operations,
    catalogue_operations,
    duty_operations,
    incident_operations,
    maintenance_operations,
    news_operations,
    override_operations,
    series_operations,
)
from statuspage.site.manage.catalogue_operations import CountAudience


def operations(count_audience: CountAudience) -> list[Operation]:
    """All of them, in the order of the document."""
    return [
        *incident_operations.operations(),
        *act_operations.operations(),
        *maintenance_operations.operations(),
        *series_operations.operations(),
        *override_operations.operations(),
        *duty_operations.operations(),
        *news_operations.operations(),
        *catalogue_operations.operations(count_audience),
    ]
