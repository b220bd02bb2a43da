package main_test

import data.main
import data.refeed.fixtures

root := fixtures.without(fixtures.deployment, "/spec/template/spec/serviceAccountName")

exemption := {
	"rule": "account-named",
	"object": "Deployment/demo/server",
	"field": "spec.template.spec.serviceAccountName",
	"reason": "upstream's own",
}

exempt(name, value) := object.union(fixtures.policy, {"exemptions": {"one": object.union(exemption, {name: value})}})

test_valid_objects_pass if {
	every thing in [
		fixtures.deployment,
		fixtures.workflow_template,
		fixtures.cron_workflow,
		fixtures.namespace,
		fixtures.role,
		fixtures.binding,
		fixtures.cluster_binding,
		fixtures.app_project,
	] {
		count(main.deny) == 0 with input as thing with data.policy as fixtures.policy
	}
}

test_message_has_object_field_remedy_and_rule if {
	some violation in main.deny with input as root with data.policy as fixtures.policy
	violation.msg == concat("", [
		"Deployment/demo/server: spec.template.spec.serviceAccountName is missing or default. ",
		"All pods of the namespace share that account. Set the step's own service account. [account-named]",
	])
}

test_exemption_narrow_allows if {
	count(main.deny) == 0 with input as root with data.policy as exempt("reason", "upstream's own")
	some warning in main.warn with input as root with data.policy as exempt("reason", "upstream's own")
	startswith(warning.msg, "exempt (upstream's own): Deployment/demo/server: ")
}

test_exemption_narrow_denies if {
	every wrong in [["reason", ""], ["object", "Deployment/*"], ["rule", "*"], ["field", ""]] {
		names := {violation.rule | some violation in main.deny} with input as root
			with data.policy as exempt(wrong[0], wrong[1])
		"exemption-narrow" in names
	}
}

test_exemption_applies_to_its_object_only if {
	other := exempt("object", "Deployment/demo/other")
	count(main.deny) == 1 with input as root with data.policy as other
	count(main.warn) == 0 with input as root with data.policy as other
}
