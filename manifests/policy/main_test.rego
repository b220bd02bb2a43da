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

test_good_objects_pass if {
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

test_a_message_says_object_field_advice_and_rule if {
	some refusal in main.deny with input as root with data.policy as fixtures.policy
	refusal.msg == concat("", [
		"Deployment/demo/server: spec.template.spec.serviceAccountName is missing or default, ",
		"whose rights everybody has; name the step's own service account [account-named]",
	])
}

test_exemption_narrow_accepts if {
	count(main.deny) == 0 with input as root with data.policy as exempt("reason", "upstream's own")
	some warning in main.warn with input as root with data.policy as exempt("reason", "upstream's own")
	startswith(warning.msg, "exempt, upstream's own: Deployment/demo/server: ")
}

test_exemption_narrow_refuses if {
	every wrong in [["reason", ""], ["object", "Deployment/*"], ["rule", "*"], ["field", ""]] {
		names := {refusal.rule | some refusal in main.deny} with input as root
			with data.policy as exempt(wrong[0], wrong[1])
		"exemption-narrow" in names
	}
}

test_an_exemption_is_for_its_object_alone if {
	other := exempt("object", "Deployment/demo/other")
	count(main.deny) == 1 with input as root with data.policy as other
	count(main.warn) == 0 with input as root with data.policy as other
}
