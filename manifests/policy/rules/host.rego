# METADATA
# title: Isolation from the node
# description: The resources of a node are shared by its pods of all projects.
package refeed.rules.host

import data.refeed.lib.objects
import data.refeed.lib.pods
import data.refeed.lib.violations

# METADATA
# title: no-host-path
# description: A directory of the node contains files of other projects' pods and the kubelet's keys.
deny contains violations.violation("no-host-path", pod.object, field, message) if {
	some pod in pods.all
	some own in pod.volumes
	own.volume.hostPath
	field := sprintf("%s.hostPath", [own.path])
	message := "is a directory of the node, which other projects' pods can use too. Use an emptyDir or object storage."
}

# METADATA
# title: no-host-namespace
# description: NetworkPolicies do not apply to the node's network, and the node's processes are readable.
deny contains violations.violation("no-host-namespace", pod.object, field, message) if {
	some pod in pods.all
	some key in ["hostNetwork", "hostPID", "hostIPC"]
	pod.spec[key] == true
	field := sprintf("%s.%s", [pod.host, key])
	message := "is true, so the pod would share the node's namespace and bypass its isolation. Remove it."
}

# METADATA
# title: no-host-port
# description: A host port is open to every client that reaches the node.
deny contains violations.violation("no-host-port", own.pod.object, field, message) if {
	some own in pods.containers
	some index, port in own.container.ports
	object.get(port, "hostPort", 0) != 0
	field := sprintf("%s.hostPort", [objects.element(sprintf("%s.ports", [own.path]), index, port)])
	message := "opens a port on the node to every client that reaches the node. Use a Service."
}
