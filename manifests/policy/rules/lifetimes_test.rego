package refeed.rules.lifetimes_test

import data.refeed.fixtures
import data.refeed.rules.lifetimes

names contains violation.rule if some violation in lifetimes.deny

passes if {
	count(names) == 0 with input as fixtures.workflow_template with data.policy as fixtures.policy
	count(names) == 0 with input as fixtures.cron_workflow with data.policy as fixtures.policy
}

denied(name, path, values) if {
	absent := fixtures.without(fixtures.workflow_template, path)
	names == {name} with input as absent with data.policy as fixtures.policy
	every value in values {
		wrong := fixtures.changed(fixtures.workflow_template, path, value)
		names == {name} with input as wrong with data.policy as fixtures.policy
	}
}

test_run_deadline_allows if passes

test_run_deadline_denies if denied("run-deadline", "/spec/activeDeadlineSeconds", [0, -1, 3601, "{{workflow.parameters.d}}"])

test_run_deadline_denies_spec_of_cron_workflow if {
	own := fixtures.without(fixtures.workflow_template.spec, "/activeDeadlineSeconds")
	cron := fixtures.changed(fixtures.cron_workflow, "/spec/workflowSpec", own)
	fields := {violation.field | some violation in lifetimes.deny} with input as cron with data.policy as fixtures.policy
	fields == {"spec.workflowSpec.activeDeadlineSeconds"}
}

test_run_ttl_allows if {
	passes
	both := {"secondsAfterSuccess": 60, "secondsAfterFailure": 7200}
	parted := fixtures.changed(fixtures.workflow_template, "/spec/ttlStrategy", both)
	count(names) == 0 with input as parted with data.policy as fixtures.policy
}

test_run_ttl_denies if denied("run-ttl", "/spec/ttlStrategy", [{}, {"secondsAfterSuccess": 60}, {"secondsAfterCompletion": 7201}])

test_pod_gc_allows if passes

test_pod_gc_denies if denied("pod-gc", "/spec/podGC", [{}, {"strategy": "Never"}])
