package refeed.rules.placement_test

import data.refeed.fixtures
import data.refeed.rules.placement

names contains violation.rule if some violation in placement.deny

step(fields) := fixtures.changed(fixtures.workflow_template, "/spec/templates/1", object.union(fixtures.step, fields))

on_spot := {"example.com/spot": "yes"}

tolerated := [{"key": "example.com/spot", "value": "yes", "effect": "NoSchedule"}]

test_spot_tolerated_allows if {
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

test_spot_tolerated_denies if {
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

test_spot_tolerated_allows_patch_to_on_demand if {
	patch := {"nodeSelector": {"example.com/spot": null}, "tolerations": []}
	leaves := step({"nodeSelector": on_spot, "tolerations": tolerated, "podSpecPatch": json.marshal(patch)})
	count(names) == 0 with input as leaves with data.policy as fixtures.policy
}

test_spot_tolerated_denies_patch_without_toleration if {
	forgets := step({"nodeSelector": on_spot, "tolerations": tolerated, "podSpecPatch": `{"tolerations": []}`})
	fields := {violation.field | some violation in placement.deny} with input as forgets with data.policy as fixtures.policy
	fields == {"spec.templates[train].podSpecPatch.tolerations"}
}

on_gpu(fields) := fixtures.changed(step(fields), "/spec/templates/1/container/resources/limits", object.union(
	fixtures.step.container.resources.limits,
	{"example.com/gpu": "1"},
))

test_gpu_tolerated_allows if {
	count(names) == 0 with input as step({}) with data.policy as fixtures.policy
	every toleration in [
		{"key": "example.com/gpu", "value": "present"},
		{"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
	] {
		count(names) == 0 with input as on_gpu({"tolerations": [toleration]}) with data.policy as fixtures.policy
	}
}

test_gpu_tolerated_denies if {
	every tolerations in [[], [{"key": "example.com/gpu", "value": "other"}], tolerated] {
		names == {"gpu-tolerated"} with input as on_gpu({"tolerations": tolerations}) with data.policy as fixtures.policy
	}
}
