# METADATA
# title: Nothing of the node
# description: What belongs to a node belongs to all its pods, of whichever project.
package refeed.rules.host

import data.refeed.lib.objects
import data.refeed.lib.pods
import data.refeed.lib.refusals

# METADATA
# title: no-host-path
# description: A folder of the node holds what other projects' pods left there, and kubelet's own keys.
refuse contains refusals.refusal("no-host-path", pod.object, field, says) if {
	some pod in pods.all
	some own in pod.volumes
	own.volume.hostPath
	field := sprintf("%s.hostPath", [own.path])
	says := "is a folder of the node, with what other projects left there; use an emptyDir or object storage"
}

# METADATA
# title: no-host-namespace
# description: In the node's network no NetworkPolicy holds; among its processes all of them can be read.
refuse contains refusals.refusal("no-host-namespace", pod.object, field, says) if {
	some pod in pods.all
	some key in ["hostNetwork", "hostPID", "hostIPC"]
	pod.spec[key] == true
	field := sprintf("%s.%s", [pod.host, key])
	says := "is true: the pod would be in the node's own namespace, past every NetworkPolicy; leave it out"
}

# METADATA
# title: no-host-port
# description: A port of the node is open to whoever reaches the node.
refuse contains refusals.refusal("no-host-port", own.pod.object, field, says) if {
	some own in pods.containers
	some index, port in own.container.ports
	object.get(port, "hostPort", 0) != 0
	field := sprintf("%s.hostPort", [objects.element(sprintf("%s.ports", [own.path]), index, port)])
	says := "opens a port of the node to whoever reaches it; use a Service"
}
