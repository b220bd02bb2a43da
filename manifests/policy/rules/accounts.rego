# METADATA
# title: Service accounts
# description: Each step is somebody, with just the rights that it needs.
package refeed.rules.accounts

import data.refeed.lib.pods
import data.refeed.lib.refusals
import data.refeed.lib.workflows

# METADATA
# title: account-named
# description: Rights that somebody gave to `default` would be everybody's.
refuse contains refusals.refusal("account-named", pod.object, field, says) if {
	some pod in pods.all
	object.get(pod.spec, "serviceAccountName", "default") in {"", "default"}
	field := sprintf("%s.serviceAccountName", [pod.path])
	says := "is missing or default, whose rights everybody has; name the step's own service account"
}

# METADATA
# title: workflow-without-token
# description: A trainer runs whatever its author wrote; only Argo's own container talks to Kubernetes.
refuse contains refusals.refusal("workflow-without-token", workflow.object, field, says) if {
	some workflow in workflows.complete
	not workflow.spec.automountServiceAccountToken == false
	field := sprintf("%s.automountServiceAccountToken", [workflow.path])
	says := "is not false: every step's code would hold a token of Kubernetes; set it to false"
}

refuse contains refusals.refusal("workflow-without-token", found.workflow.object, field, says) if {
	some found in workflows.templates
	found.template.automountServiceAccountToken == true
	field := sprintf("%s.automountServiceAccountToken", [found.path])
	says := "is true: the step's code would hold a token of Kubernetes; leave it out"
}

# METADATA
# title: executor-account
# description: Without one of its own Argo's container acts as the step, which has no token.
refuse contains refusals.refusal("executor-account", workflow.object, field, says) if {
	some workflow in workflows.complete
	object.get(workflow.spec, ["executor", "serviceAccountName"], "default") in {"", "default"}
	field := sprintf("%s.executor.serviceAccountName", [workflow.path])
	says := "is missing or default: Argo's container would act as the step; name the executor's own account"
}
