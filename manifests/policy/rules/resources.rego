# METADATA
# title: Requests and limits
# description: The scheduler fills nodes by requests, and limits bound what a container uses.
package refeed.rules.resources

import data.refeed.lib.pods
import data.refeed.lib.violations
import data.refeed.lib.workflows

# METADATA
# title: resources-set
# description: Without a request, a pod can be placed on a full node. Without a limit, it can starve other pods.
deny contains violations.violation("resources-set", own.pod.object, field, message) if {
	some own in pods.containers
	some kind in ["requests", "limits"]
	some amount in ["cpu", "memory"]
	not given(own.container, kind, amount)
	field := sprintf("%s.resources.%s.%s", [own.path, kind, amount])
	message := "is missing, so the pod could starve others or be evicted first. Set it."
}

# METADATA
# title: disk-set
# description: >
#   Without a limit, a pod can fill the disk of its node, and the kubelet evicts others. Without a request, GKE Autopilot
#   allows 1 GiB.
deny contains violations.violation("disk-set", pod.object, field, message) if {
	some pod in of_workflows
	some own in pod.containers
	some kind in ["requests", "limits"]
	not given(own.container, kind, "ephemeral-storage")
	field := sprintf("%s.resources.%s.ephemeral-storage", [own.path, kind])
	message := "is missing, so the pod could fill its node's disk or be evicted. Set it."
}

deny contains violations.violation("disk-set", pod.object, field, message) if {
	some pod in of_workflows
	some own in pod.volumes
	own.volume.emptyDir
	object.get(own.volume.emptyDir, "sizeLimit", "") == ""
	field := sprintf("%s.emptyDir.sizeLimit", [own.path])
	message := "is missing, so the volume could fill its node's disk. Set it."
}

of_workflows contains pod if {
	some found in workflows.templates
	some pod in pods.all
	pod.object == found.workflow.object
	pod.path == found.path
}

given(container, kind, amount) if {
	value := sprintf("%v", [container.resources[kind][amount]])
	not value in {"", "0", "null"}
}
