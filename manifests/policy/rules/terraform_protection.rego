# METADATA
# title: Protection from deletion
# description: Deleting resources that hold runs or data takes two steps, so that a single mistake cannot do it.
package refeed.rules.terraform_protection

import data.refeed.lib.plans
import data.refeed.lib.violations

# METADATA
# title: deletion-protected
# description: A wrong plan could delete the cluster or all results.
deny contains violations.violation("deletion-protected", resource.object, field, message) if {
	some resource in plans.resources
	some field, wanted in protections[resource.type]
	object.get(resource.after, field, null) != wanted
	message := sprintf("is not %v, so a wrong plan could delete the resource and its contents. Set it.", [wanted])
}

deny contains violations.violation("deletion-protected", resource.object, "force_destroy", message) if {
	some resource in plans.resources
	resource.after.force_destroy == true
	message := "is true, so a wrong plan could delete the resource and its contents. Remove it."
}

protections := {
	"google_bigquery_table": {"deletion_protection": true},
	"google_container_cluster": {"deletion_protection": true},
	"google_firestore_database": {"delete_protection_state": "DELETE_PROTECTION_ENABLED"},
}
