# METADATA
# title: Protection from deletion
# description: What holds runs or data takes two steps to remove, so that one mistake does not.
package refeed.rules.terraform_protection

import data.refeed.lib.plans
import data.refeed.lib.refusals

# METADATA
# title: deletion-protected
# description: One wrong plan would remove the cluster or all results.
refuse contains refusals.refusal("deletion-protected", resource.object, field, says) if {
	some resource in plans.resources
	some field, wanted in protections[resource.type]
	object.get(resource.after, field, null) != wanted
	says := sprintf("is not %v: one wrong plan would remove it, and all in it; set it", [wanted])
}

refuse contains refusals.refusal("deletion-protected", resource.object, "force_destroy", says) if {
	some resource in plans.resources
	resource.after.force_destroy == true
	says := "is true: one wrong plan would remove it with all that it holds; leave it out"
}

protections := {
	"google_bigquery_table": {"deletion_protection": true},
	"google_container_cluster": {"deletion_protection": true},
	"google_firestore_database": {"delete_protection_state": "DELETE_PROTECTION_ENABLED"},
}
