# METADATA
# title: Kubernetes objects
# description: What `kustomize build`, `refeed compile` and `kubectl get -o yaml` print.
package refeed.lib.objects

# METADATA
# title: The objects of the input
# description: The input is one, or a List of them.
all contains input if {
	input.apiVersion
	input.kind
	not listed
}

all contains item if {
	listed
	some item in input.items
}

listed if {
	endswith(input.kind, "List")
	is_array(input.items)
}

# METADATA
# title: Kind/namespace/name
# description: Without the namespace where there is none; a generated name ends with its dash.
id(object) := concat("/", [part | some part in [object.kind, namespace(object), name(object)]; part != ""])

namespace(thing) := object.get(thing, ["metadata", "namespace"], "")

name(thing) := object.get(thing, ["metadata", "name"], object.get(thing, ["metadata", "generateName"], ""))

labels(thing) := object.get(thing, ["metadata", "labels"], {})

# METADATA
# title: A path as people write it
# description: Of the keys and indices that `walk` gives; an element of a list goes by its index.
dotted(path) := trim_prefix(concat("", [step(key) | some key in path]), ".")

step(key) := sprintf(".%s", [key]) if is_string(key)

step(key) := sprintf("[%d]", [key]) if is_number(key)

# METADATA
# title: An element of a list by its name
# description: Names stay when something is put before; what has none goes by its index.
element(path, _, thing) := sprintf("%s[%s]", [path, thing.name]) if thing.name

element(path, index, thing) := sprintf("%s[%d]", [path, index]) if not thing.name
