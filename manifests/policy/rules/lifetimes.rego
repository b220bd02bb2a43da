# METADATA
# title: Lifetimes
# description: A run that hangs costs money, and completed workflows and pods fill the cluster.
package refeed.rules.lifetimes

import data.refeed.lib.violations
import data.refeed.lib.workflows

# METADATA
# title: run-deadline
# description: Argo stops a run that hangs.
deny contains violations.violation("run-deadline", workflow.object, field, message) if {
	some workflow in workflows.complete
	most := data.policy.limits.deadline_seconds
	not within(object.get(workflow.spec, "activeDeadlineSeconds", 0), most)
	field := sprintf("%s.activeDeadlineSeconds", [workflow.path])
	message := sprintf("is not from 1 to %d, so a run that hangs would keep its nodes. Set it (execution.deadline).", [most])
}

# METADATA
# title: run-ttl
# description: Completed workflows fill etcd and slow down the controller.
deny contains violations.violation("run-ttl", workflow.object, field, message) if {
	some workflow in workflows.complete
	most := data.policy.limits.ttl_seconds
	some key in ends(object.get(workflow.spec, "ttlStrategy", {}))
	not within(object.get(workflow.spec, ["ttlStrategy", key], 0), most)
	field := sprintf("%s.ttlStrategy.%s", [workflow.path, key])
	message := sprintf("is not from 1 to %d, so completed workflows would fill etcd. Set it (execution.ttl).", [most])
}

# METADATA
# title: pod-gc
# description: Completed pods slow down the API server.
deny contains violations.violation("pod-gc", workflow.object, field, message) if {
	some workflow in workflows.complete
	not object.get(workflow.spec, ["podGC", "strategy"], "") in strategies
	field := sprintf("%s.podGC.strategy", [workflow.path])
	message := sprintf("is not one of %v, so completed pods would stay as long as the workflow. Set it.", [strategies])
}

strategies := {"OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"}

# Argo accepts one value for both outcomes, or one for each.
ends(ttl) := ["secondsAfterSuccess", "secondsAfterFailure"] if not ttl.secondsAfterCompletion

ends(ttl) := ["secondsAfterCompletion"] if ttl.secondsAfterCompletion

within(value, most) if {
	is_number(value)
	value > 0
	value <= most
}
