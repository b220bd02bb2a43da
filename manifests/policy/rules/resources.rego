# METADATA
# title: Requests and limits
# description: The scheduler fills nodes by requests, and limits bound what a container uses.
package refeed.rules.resources

import data.refeed.lib.pods
import data.refeed.lib.violations

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

given(container, kind, amount) if {
	value := sprintf("%v", [container.resources[kind][amount]])
	not value in {"", "0", "null"}
}
