# METADATA
# title: What a container may do on its node
# description: The restricted Pod Security Standard, and a root file system that is read only.
package refeed.rules.security

import data.refeed.lib.pods
import data.refeed.lib.refusals

# METADATA
# title: run-as-non-root
# description: Root in the container is root on the node once it gets out.
refuse contains refusals.refusal("run-as-non-root", own.pod.object, field, says) if {
	some own in pods.containers
	not is(own, "runAsNonRoot", true)
	field := context(own, "runAsNonRoot")
	says := sprintf("is not true, here or in %s: root in a container is root once it gets out; set it", [own.pod.security])
}

refuse contains refusals.refusal("run-as-non-root", own.pod.object, field, says) if {
	some own in pods.containers
	is(own, "runAsUser", 0)
	field := context(own, "runAsUser")
	says := sprintf("is 0, here or in %s, which is root; name another user", [own.pod.security])
}

# METADATA
# title: seccomp-default
# description: The calls that containers never need are the kernel's weakest ones.
refuse contains refusals.refusal("seccomp-default", own.pod.object, field, says) if {
	some own in pods.containers
	not is(own, "seccompProfile", "RuntimeDefault")
	field := context(own, "seccompProfile.type")
	says := sprintf("is not RuntimeDefault, here or in %s: all calls of the kernel are open; set it", [own.pod.security])
}

# METADATA
# title: read-only-root
# description: Whoever gets in cannot change the code that runs.
refuse contains refusals.refusal("read-only-root", own.pod.object, field, says) if {
	some own in pods.containers
	not own.container.securityContext.readOnlyRootFilesystem == true
	field := context(own, "readOnlyRootFilesystem")
	says := "is not true: whoever gets in could change the code that runs; set it, and mount an emptyDir where it writes"
}

# METADATA
# title: no-privilege-escalation
# description: A setuid program would make a user root again.
refuse contains refusals.refusal("no-privilege-escalation", own.pod.object, field, says) if {
	some own in pods.containers
	not own.container.securityContext.allowPrivilegeEscalation == false
	field := context(own, "allowPrivilegeEscalation")
	says := "is not false: a setuid program would make it root; set it to false"
}

# METADATA
# title: not-privileged
# description: A privileged container is the node.
refuse contains refusals.refusal("not-privileged", own.pod.object, field, says) if {
	some own in pods.containers
	own.container.securityContext.privileged == true
	field := context(own, "privileged")
	says := "is true: such a container is the node; leave it out"
}

# METADATA
# title: capabilities-dropped
# description: No step needs one of root's rights.
refuse contains refusals.refusal("capabilities-dropped", own.pod.object, field, says) if {
	some own in pods.containers
	not "ALL" in object.get(own.container, ["securityContext", "capabilities", "drop"], [])
	field := context(own, "capabilities.drop")
	says := "is without ALL: it would keep some of root's rights; set it to [ALL]"
}

refuse contains refusals.refusal("capabilities-dropped", own.pod.object, field, says) if {
	some own in pods.containers
	added := object.get(own.container, ["securityContext", "capabilities", "add"], [])
	count(added) > 0
	field := context(own, "capabilities.add")
	says := sprintf("is %v: these are rights of root; leave it out", [added])
}

# Negated calls of what may be undefined are undefined themselves, so rules ask for the value in one call.
is(own, key, value) if effective(own, key) == value

is(own, key, value) if effective(own, key).type == value

# A container's own setting wins over its pod's.
effective(own, key) := own.container.securityContext[key]

effective(own, key) := own.pod.spec.securityContext[key] if not has(own.container, key)

has(container, key) if key in object.keys(object.get(container, "securityContext", {}))

context(own, key) := sprintf("%s.securityContext.%s", [own.path, key])
