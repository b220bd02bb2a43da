# METADATA
# title: Everything ends
# description: A run that hangs costs money until somebody sees it, and what it leaves fills the cluster.
package refeed.rules.lifetimes

import data.refeed.lib.refusals
import data.refeed.lib.workflows

# METADATA
# title: run-deadline
# description: A run that hangs is stopped.
refuse contains refusals.refusal("run-deadline", workflow.object, field, says) if {
	some workflow in workflows.complete
	most := data.policy.limits.deadline_seconds
	not within(object.get(workflow.spec, "activeDeadlineSeconds", 0), most)
	field := sprintf("%s.activeDeadlineSeconds", [workflow.path])
	says := sprintf("is not from 1 to %d: a run that hangs would hold its nodes; set it (execution.deadline)", [most])
}

# METADATA
# title: run-ttl
# description: Workflows that ended fill etcd, and the controller reads them all.
refuse contains refusals.refusal("run-ttl", workflow.object, field, says) if {
	some workflow in workflows.complete
	most := data.policy.limits.ttl_seconds
	some key in ends(object.get(workflow.spec, "ttlStrategy", {}))
	not within(object.get(workflow.spec, ["ttlStrategy", key], 0), most)
	field := sprintf("%s.ttlStrategy.%s", [workflow.path, key])
	says := sprintf("is not from 1 to %d: workflows that ended would fill etcd; set it (execution.ttl)", [most])
}

# METADATA
# title: pod-gc
# description: Pods that ended count in the quota's objects, and slow the API server down.
refuse contains refusals.refusal("pod-gc", workflow.object, field, says) if {
	some workflow in workflows.complete
	not object.get(workflow.spec, ["podGC", "strategy"], "") in collecting
	field := sprintf("%s.podGC.strategy", [workflow.path])
	says := sprintf("is none of %v: pods that ended would stay as long as the workflow; set it", [collecting])
}

collecting := {"OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"}

# Either one for both ends, or one for each.
ends(ttl) := ["secondsAfterSuccess", "secondsAfterFailure"] if not ttl.secondsAfterCompletion

ends(ttl) := ["secondsAfterCompletion"] if ttl.secondsAfterCompletion

within(value, most) if {
	is_number(value)
	value > 0
	value <= most
}
