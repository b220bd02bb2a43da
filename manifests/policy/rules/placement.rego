# METADATA
# title: Nodes
# description: A pod that selects nodes whose taint it does not tolerate stays pending forever.
package refeed.rules.placement

import data.refeed.lib.pods
import data.refeed.lib.violations

# METADATA
# title: spot-tolerated
# description: Spot nodes have a taint with the key of their label, which keeps other pods away.
deny contains violations.violation("spot-tolerated", place.object, place.field, message) if {
	some place in places
	some key, value in data.policy.spot_labels
	place.selector[key] == value
	not tolerates(place.tolerations, key, value)
	message := sprintf(
		"does not tolerate the taint of the selected nodes (%s=%s), so the pod would stay pending forever. Add {key: %s, value: %q, effect: NoSchedule}.",
		[key, value, key, value],
	)
}

places contains place if {
	some pod in pods.all
	place := {
		"object": pod.object,
		"field": sprintf("%s.tolerations", [pod.path]),
		"selector": object.get(pod.spec, "nodeSelector", {}),
		"tolerations": object.get(pod.spec, "tolerations", []),
	}
}

# A patch merges labels one by one, with null removing a label. It replaces tolerations.
places contains place if {
	some reading in pods.readings
	spec := reading.pod.spec
	merged := object.union(object.get(spec, "nodeSelector", {}), object.get(reading.patch, "nodeSelector", {}))
	place := {
		"object": reading.pod.object,
		"field": sprintf("%s.tolerations", [reading.path]),
		"selector": {key: value | some key, value in merged; value != null},
		"tolerations": object.get(reading.patch, "tolerations", object.get(spec, "tolerations", [])),
	}
}

# METADATA
# title: gpu-tolerated
# description: GKE gives nodes with GPUs a taint with the name of the resource, which keeps other pods away.
deny contains violations.violation("gpu-tolerated", own.pod.object, field, message) if {
	some own in pods.containers
	some resource, taint in data.policy.resource_taints
	object.get(own.container, ["resources", "limits", resource], null) != null
	not tolerates(object.get(own.pod.spec, "tolerations", []), resource, taint)
	field := sprintf("%s.tolerations", [own.pod.path])
	message := sprintf(
		"does not tolerate the taint of nodes with %s, so the pod would stay pending forever. Add {key: %s, operator: Exists, effect: NoSchedule}.",
		[resource, resource],
	)
}

tolerates(tolerations, key, value) if {
	some toleration in tolerations
	toleration.key == key
	object.get(toleration, "effect", "") in {"", "NoSchedule"}
	covers(toleration, value)
}

covers(toleration, _) if toleration.operator == "Exists"

covers(toleration, value) if {
	object.get(toleration, "operator", "Equal") == "Equal"
	toleration.value == value
}
