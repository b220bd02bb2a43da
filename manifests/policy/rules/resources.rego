# METADATA
# title: Requests and limits
# description: A node is filled by what pods ask for, and a pod takes no more than it may.
package refeed.rules.resources

import data.refeed.lib.pods
import data.refeed.lib.refusals

# METADATA
# title: resources-set
# description: Without a request a pod lands on a full node; without a limit it takes what others need.
refuse contains refusals.refusal("resources-set", own.pod.object, field, says) if {
	some own in pods.containers
	some kind in ["requests", "limits"]
	some amount in ["cpu", "memory"]
	not given(own.container, kind, amount)
	field := sprintf("%s.resources.%s.%s", [own.path, kind, amount])
	says := "is missing: the pod would crowd out others or be evicted first; set it"
}

given(container, kind, amount) if {
	value := sprintf("%v", [container.resources[kind][amount]])
	not value in {"", "0", "null"}
}
