# METADATA
# title: Service accounts
# description: Each step has its own service account with only the permissions that it needs.
package refeed.rules.accounts

import data.refeed.lib.pods
import data.refeed.lib.violations
import data.refeed.lib.workflows

# METADATA
# title: account-named
# description: All pods of a namespace would share the permissions of `default`.
deny contains violations.violation("account-named", pod.object, field, message) if {
	some pod in pods.all
	object.get(pod.spec, "serviceAccountName", "default") in {"", "default"}
	field := sprintf("%s.serviceAccountName", [pod.path])
	message := "is missing or default. All pods of the namespace share that account. Set the step's own service account."
}

# METADATA
# title: workflow-without-token
# description: Trainers run third-party code. Only Argo's executor needs the Kubernetes API.
deny contains violations.violation("workflow-without-token", workflow.object, field, message) if {
	some workflow in workflows.complete
	not workflow.spec.automountServiceAccountToken == false
	field := sprintf("%s.automountServiceAccountToken", [workflow.path])
	message := "is not false, so the code of every step would get a Kubernetes token. Set it to false."
}

deny contains violations.violation("workflow-without-token", found.workflow.object, field, message) if {
	some found in workflows.templates
	found.template.automountServiceAccountToken == true
	field := sprintf("%s.automountServiceAccountToken", [found.path])
	message := "is true, so the step's code would get a Kubernetes token. Remove it."
}

# METADATA
# title: executor-account
# description: Without its own account, Argo's executor uses the step's, which has no token.
deny contains violations.violation("executor-account", workflow.object, field, message) if {
	some workflow in workflows.complete
	object.get(workflow.spec, ["executor", "serviceAccountName"], "default") in {"", "default"}
	field := sprintf("%s.executor.serviceAccountName", [workflow.path])
	message := "is missing or default, so Argo's executor would use the step's account. Set the executor's own account."
}
