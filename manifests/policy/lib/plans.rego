# METADATA
# title: Plans of Terraform
# description: What `terraform show -json PLAN` prints.
package refeed.lib.plans

# METADATA
# title: What will be there after the plan
# description: >
#   As {object, type, after}: what is made, changed and left as it is. A value that is only known
#   afterwards is missing in `after`, and rules take it for not set.
resources contains {"object": change.address, "type": change.type, "after": change.change.after} if {
	some change in input.resource_changes
	object.get(change, "mode", "managed") == "managed"
	is_object(change.change.after)
}
