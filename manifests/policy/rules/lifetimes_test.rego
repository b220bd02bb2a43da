package refeed.rules.lifetimes_test

import data.refeed.fixtures
import data.refeed.rules.lifetimes

names contains refusal.rule if some refusal in lifetimes.refuse

passes if {
	count(names) == 0 with input as fixtures.workflow_template with data.policy as fixtures.policy
	count(names) == 0 with input as fixtures.cron_workflow with data.policy as fixtures.policy
}

refused(name, path, values) if {
	absent := fixtures.without(fixtures.workflow_template, path)
	names == {name} with input as absent with data.policy as fixtures.policy
	every value in values {
		wrong := fixtures.changed(fixtures.workflow_template, path, value)
		names == {name} with input as wrong with data.policy as fixtures.policy
	}
}

test_run_deadline_accepts if passes

test_run_deadline_refuses if refused("run-deadline", "/spec/activeDeadlineSeconds", [0, -1, 3601, "{{workflow.parameters.d}}"])

test_run_deadline_refuses_a_cron_workflows_own_spec if {
	own := fixtures.without(fixtures.workflow_template.spec, "/activeDeadlineSeconds")
	cron := fixtures.changed(fixtures.cron_workflow, "/spec/workflowSpec", own)
	fields := {refusal.field | some refusal in lifetimes.refuse} with input as cron with data.policy as fixtures.policy
	fields == {"spec.workflowSpec.activeDeadlineSeconds"}
}

test_run_ttl_accepts if {
	passes
	both := {"secondsAfterSuccess": 60, "secondsAfterFailure": 7200}
	parted := fixtures.changed(fixtures.workflow_template, "/spec/ttlStrategy", both)
	count(names) == 0 with input as parted with data.policy as fixtures.policy
}

test_run_ttl_refuses if refused("run-ttl", "/spec/ttlStrategy", [{}, {"secondsAfterSuccess": 60}, {"secondsAfterCompletion": 7201}])

test_pod_gc_accepts if passes

test_pod_gc_refuses if refused("pod-gc", "/spec/podGC", [{}, {"strategy": "Never"}])
