# METADATA
# title: Container security
# description: Requires the restricted Pod Security Standard and a read-only root file system.
package refeed.rules.security

import data.refeed.lib.pods
import data.refeed.lib.violations

# METADATA
# title: run-as-non-root
# description: Root in the container is root on the node after a container escape.
deny contains violations.violation("run-as-non-root", own.pod.object, field, message) if {
	some own in pods.containers
	not is(own, "runAsNonRoot", true)
	field := context(own, "runAsNonRoot")
	message := sprintf("is not true, here or in %s. Root in a container is root on the node after a container escape. Set it.", [own.pod.security])
}

deny contains violations.violation("run-as-non-root", own.pod.object, field, message) if {
	some own in pods.containers
	is(own, "runAsUser", 0)
	field := context(own, "runAsUser")
	message := sprintf("is 0 (root), here or in %s. Set another user.", [own.pod.security])
}

# METADATA
# title: seccomp-default
# description: The default profile blocks system calls that containers do not need.
deny contains violations.violation("seccomp-default", own.pod.object, field, message) if {
	some own in pods.containers
	not is(own, "seccompProfile", "RuntimeDefault")
	field := context(own, "seccompProfile.type")
	message := sprintf("is not RuntimeDefault, here or in %s, so all system calls are allowed. Set it.", [own.pod.security])
}

# METADATA
# title: read-only-root
# description: An attacker in the container cannot change the code that runs.
deny contains violations.violation("read-only-root", own.pod.object, field, message) if {
	some own in pods.containers
	not own.container.securityContext.readOnlyRootFilesystem == true
	field := context(own, "readOnlyRootFilesystem")
	message := "is not true, so an attacker could change the code that runs. Set it, and mount an emptyDir for files that the container writes."
}

# METADATA
# title: no-privilege-escalation
# description: A setuid program could run as root.
deny contains violations.violation("no-privilege-escalation", own.pod.object, field, message) if {
	some own in pods.containers
	not own.container.securityContext.allowPrivilegeEscalation == false
	field := context(own, "allowPrivilegeEscalation")
	message := "is not false, so a setuid program could run as root. Set it to false."
}

# METADATA
# title: not-privileged
# description: A privileged container has full access to the node.
deny contains violations.violation("not-privileged", own.pod.object, field, message) if {
	some own in pods.containers
	own.container.securityContext.privileged == true
	field := context(own, "privileged")
	message := "is true, so the container has full access to the node. Remove it."
}

# METADATA
# title: capabilities-dropped
# description: No step needs a root capability.
deny contains violations.violation("capabilities-dropped", own.pod.object, field, message) if {
	some own in pods.containers
	not "ALL" in object.get(own.container, ["securityContext", "capabilities", "drop"], [])
	field := context(own, "capabilities.drop")
	message := "does not contain ALL, so the container keeps root capabilities. Set it to [ALL]."
}

deny contains violations.violation("capabilities-dropped", own.pod.object, field, message) if {
	some own in pods.containers
	added := object.get(own.container, ["securityContext", "capabilities", "add"], [])
	count(added) > 0
	field := context(own, "capabilities.add")
	message := sprintf("is %v, which are root capabilities. Remove it.", [added])
}

# `not` of a call with an undefined argument is undefined, so rules compare the value in one call.
is(own, key, value) if effective(own, key) == value

is(own, key, value) if effective(own, key).type == value

# A container's setting overrides its pod's.
effective(own, key) := own.container.securityContext[key]

effective(own, key) := own.pod.spec.securityContext[key] if not has(own.container, key)

has(container, key) if key in object.keys(object.get(container, "securityContext", {}))

context(own, key) := sprintf("%s.securityContext.%s", [own.path, key])
