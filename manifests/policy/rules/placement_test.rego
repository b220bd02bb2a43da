package refeed.rules.placement_test

import data.refeed.fixtures
import data.refeed.rules.placement

names contains refusal.rule if some refusal in placement.refuse

step(fields) := fixtures.changed(fixtures.workflow_template, "/spec/templates/1", object.union(fixtures.step, fields))

on_spot := {"example.com/spot": "yes"}

tolerated := [{"key": "example.com/spot", "value": "yes", "effect": "NoSchedule"}]

test_spot_tolerated_accepts if {
	every fields in [
		{},
		{"tolerations": tolerated},
		{"nodeSelector": {"example.com/spot": "no"}},
		{"nodeSelector": on_spot, "tolerations": tolerated},
		{"nodeSelector": on_spot, "tolerations": [{"key": "example.com/spot", "operator": "Exists"}]},
	] {
		count(names) == 0 with input as step(fields) with data.policy as fixtures.policy
	}
}

test_spot_tolerated_refuses if {
	every tolerations in [
		[],
		[{"key": "example.com/other", "value": "yes"}],
		[{"key": "example.com/spot", "value": "no"}],
		[{"key": "example.com/spot", "value": "yes", "effect": "NoExecute"}],
	] {
		wrong := step({"nodeSelector": on_spot, "tolerations": tolerations})
		names == {"spot-tolerated"} with input as wrong with data.policy as fixtures.policy
	}
}

test_spot_tolerated_accepts_a_patch_that_leaves_spot_nodes if {
	patch := {"nodeSelector": {"example.com/spot": null}, "tolerations": []}
	leaves := step({"nodeSelector": on_spot, "tolerations": tolerated, "podSpecPatch": json.marshal(patch)})
	count(names) == 0 with input as leaves with data.policy as fixtures.policy
}

test_spot_tolerated_refuses_a_patch_that_forgets_the_toleration if {
	forgets := step({"nodeSelector": on_spot, "tolerations": tolerated, "podSpecPatch": `{"tolerations": []}`})
	fields := {refusal.field | some refusal in placement.refuse} with input as forgets with data.policy as fixtures.policy
	fields == {"spec.templates[train].podSpecPatch.tolerations"}
}
