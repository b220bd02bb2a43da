# METADATA
# title: Regions
# description: Where data lies is a promise to those whose data it is; between regions it also costs.
package refeed.rules.terraform_regions

import data.refeed.lib.plans
import data.refeed.lib.refusals

# METADATA
# title: region-allowed
# description: A zone counts as its region. What Google places itself (global) is no matter of a region.
refuse contains refusals.refusal("region-allowed", resource.object, key, says) if {
	some resource in plans.resources
	some key in ["location", "region", "zone", "location_id"]
	place := resource.after[key]
	is_string(place)
	not region(place) in allowed
	says := sprintf("is %q, none of %v: put it there, or say in policy.regions why it may be elsewhere", [place, sort(allowed)])
}

refuse contains refusals.refusal("region-allowed", resource.object, "node_locations", says) if {
	some resource in plans.resources
	some place in resource.after.node_locations
	not region(place) in allowed
	says := sprintf("holds %q, none of %v: put nodes there, or say in policy.regions why", [place, sort(allowed)])
}

allowed contains lower(name) if some name, _ in data.policy.regions

allowed contains "global"

# Some attributes hold the whole address of a region or zone.
region(place) := regex.replace(regex.replace(lower(place), `^.*/`, ""), `^([a-z]+-[a-z]+[0-9]+)-[a-z]$`, "$1")
