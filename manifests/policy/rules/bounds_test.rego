package refeed.rules.bounds_test

import data.refeed.fixtures
import data.refeed.rules.bounds

names contains violation.rule if some violation in bounds.deny

template := fixtures.workflow_template

passes if count(names) == 0 with input as template with data.policy as fixtures.policy

set(path, value) := fixtures.changed(template, path, value)

test_fan_out_bounded_allows if {
	passes
	own := fixtures.changed(fixtures.without(template, "/spec/parallelism"), "/spec/templates/0/parallelism", 5)
	count(names) == 0 with input as own with data.policy as fixtures.policy
}

test_fan_out_bounded_allows_literal_list if {
	tasks := [{"name": "few", "template": "train", "withItems": [1, 2]}]
	listed := fixtures.without(set("/spec/templates/0/dag/tasks", tasks), "/spec/parallelism")
	count(names) == 0 with input as listed with data.policy as fixtures.policy
}

test_fan_out_bounded_denies if {
	every wrong in [
		fixtures.without(template, "/spec/parallelism"),
		set("/spec/parallelism", 0),
		set("/spec/parallelism", 11),
		fixtures.changed(fixtures.without(template, "/spec/parallelism"), "/spec/templates/1/parallelism", 5),
	] {
		names == {"fan-out-bounded"} with input as wrong with data.policy as fixtures.policy
	}
}

test_retries_bounded_allows if {
	passes
	count(names) == 0 with input as set("/spec/templates/1/retryStrategy/limit", "0") with data.policy as fixtures.policy
	never := fixtures.without(template, "/spec/templates/1/retryStrategy")
	count(names) == 0 with input as never with data.policy as fixtures.policy
}

test_retries_bounded_denies if {
	endless := fixtures.without(template, "/spec/templates/1/retryStrategy/limit")
	names == {"retries-bounded"} with input as endless with data.policy as fixtures.policy
	every limit in [6, "6", -1, "{{workflow.parameters.tries}}"] {
		wrong := set("/spec/templates/1/retryStrategy/limit", limit)
		names == {"retries-bounded"} with input as wrong with data.policy as fixtures.policy
	}
}

test_retries_wait_allows if passes

test_retries_wait_denies if {
	hasty := fixtures.without(template, "/spec/templates/1/retryStrategy/backoff")
	names == {"retries-wait"} with input as hasty with data.policy as fixtures.policy
}

test_patch_known_allows if {
	every text in [`{"containers": []}`, "containers: []", `{{= a == 'b' ? '{"nodeSelector": {} }' : '{}' }}`] {
		count(names) == 0 with input as set("/spec/podSpecPatch", text) with data.policy as fixtures.policy
	}
}

test_patch_known_denies if {
	every text in ["{{inputs.parameters.patch}}", "{{= '{' + '}' }}", "[1]", `{"a`, "{{= a == 'b' ? 'x' : '{}' }}"] {
		names == {"patch-known"} with input as set("/spec/templates/1/podSpecPatch", text)
			with data.policy as fixtures.policy
	}
}

test_patch_narrow_allows if {
	patch := {"nodeSelector": {}, "tolerations": [], "containers": [{"name": "main", "resources": {}, "env": []}]}
	size := {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}]}
	narrow := set("/spec/templates/1/podSpecPatch", json.marshal(object.union(patch, size)))
	count(names) == 0 with input as narrow with data.policy as fixtures.policy
}

test_patch_narrow_denies_patch_of_workflow if {
	fields := {violation.field | some violation in bounds.deny} with input as set("/spec/podSpecPatch", `{"hostPID": true}`)
		with data.policy as fixtures.policy
	fields == {"spec.podSpecPatch"}
}

test_patch_narrow_denies if {
	every patch in [
		{"hostNetwork": true},
		{"containers": [{"name": "main", "securityContext": {"privileged": true}}]},
		{"containers": [{"name": "main", "image": "evil.example.com/a:1"}]},
		{"volumes": [{"name": "tmp", "hostPath": {"path": "/"}}]},
		{"volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}]},
	] {
		names == {"patch-narrow"} with input as set("/spec/templates/1/podSpecPatch", json.marshal(patch))
			with data.policy as fixtures.policy
	}
}
