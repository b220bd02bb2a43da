# METADATA
# title: IAM grants
# description: Each grant names a specific member and a narrow role.
package refeed.rules.terraform_iam

import data.refeed.lib.plans
import data.refeed.lib.violations

# METADATA
# title: iam-not-public
# description: allAuthenticatedUsers includes every Google account.
deny contains violations.violation("iam-not-public", grant.object, grant.field, message) if {
	some grant in grants
	some member in grant.members
	lower(member) in {"allusers", "allauthenticatedusers"}
	message := sprintf("contains %s, which grants public access. Name a service account or a group.", [member])
}

# METADATA
# title: iam-no-primitive-role
# description: Primitive roles apply to every service of the project, including future ones.
deny contains violations.violation("iam-no-primitive-role", grant.object, grant.role_field, message) if {
	some grant in grants
	grant.role in {"roles/owner", "roles/editor", "roles/viewer"}
	message := sprintf("is %s, which applies to every service of the project. Grant the roles that are needed.", [grant.role])
}

grants contains grant("member", "role", resource, [resource.after.member], role(resource)) if {
	some resource in plans.resources
}

grants contains grant("members", "role", resource, resource.after.members, role(resource)) if {
	some resource in plans.resources
}

grants contains grant("policy_data", "policy_data", resource, object.get(binding, "members", []), binding.role) if {
	some resource in plans.resources
	some binding in json.unmarshal(resource.after.policy_data).bindings
}

# Legacy access lists of buckets and datasets.
grants contains grant("entity", "role", resource, [resource.after.entity], "") if {
	some resource in plans.resources
	contains(resource.type, "access_control")
}

grants contains grant("role_entity", "role_entity", resource, [entity], "") if {
	some resource in plans.resources
	some text in resource.after.role_entity
	entity := split(text, ":")[1]
}

grants contains grant("special_group", "role", resource, [resource.after.special_group], "") if {
	some resource in plans.resources
	resource.type == "google_bigquery_dataset_access"
}

grants contains grant("access", "access", resource, [access.special_group], "") if {
	some resource in plans.resources
	resource.type == "google_bigquery_dataset"
	some access in resource.after.access
}

grant(field, role_field, resource, members, role) := {
	"object": resource.object,
	"field": field,
	"role_field": role_field,
	"members": members,
	"role": role,
}

role(resource) := object.get(resource.after, "role", "")
