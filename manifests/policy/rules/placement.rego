# METADATA
# title: Nodes
# description: A pod that asks for nodes which it may not enter waits for ever.
package refeed.rules.placement

import data.refeed.lib.pods
import data.refeed.lib.refusals

# METADATA
# title: spot-tolerated
# description: Spot nodes have a taint of the same name as their label, so that nothing lands there unasked.
refuse contains refusals.refusal("spot-tolerated", place.object, place.field, says) if {
	some place in places
	some key, value in data.policy.spot_labels
	place.selector[key] == value
	not tolerates(place.tolerations, key, value)
	says := sprintf(
		"asks for nodes with %s=%s and does not tolerate their taint: it would wait for ever; add {key: %s, value: %q, effect: NoSchedule}",
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

# Labels are merged one by one, and null takes one out; tolerations are replaced.
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
