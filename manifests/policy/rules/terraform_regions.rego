# METADATA
# title: Regions
# description: The location of data is a commitment to its owners, and traffic between regions costs money.
package refeed.rules.terraform_regions

import data.refeed.lib.plans
import data.refeed.lib.violations

# METADATA
# title: region-allowed
# description: A zone counts as its region. Global resources are allowed.
deny contains violations.violation("region-allowed", resource.object, key, message) if {
	some resource in plans.resources
	some key in ["location", "region", "zone", "location_id"]
	place := resource.after[key]
	is_string(place)
	not region(place) in allowed
	message := sprintf("is %q, which is not one of %v. Use one of them, or add the region to policy.regions with a reason.", [place, sort(allowed)])
}

deny contains violations.violation("region-allowed", resource.object, "node_locations", message) if {
	some resource in plans.resources
	some place in resource.after.node_locations
	not region(place) in allowed
	message := sprintf("contains %q, which is not one of %v. Use one of them, or add the region to policy.regions with a reason.", [place, sort(allowed)])
}

allowed contains lower(name) if some name, _ in data.policy.regions

allowed contains "global"

# Some attributes contain the URL of a region or zone.
region(place) := regex.replace(regex.replace(lower(place), `^.*/`, ""), `^([a-z]+-[a-z]+[0-9]+)-[a-z]$`, "$1")
