# METADATA
# title: Kubernetes objects
# description: Parses the output of `kustomize build`, `refeed compile` and `kubectl get -o yaml`.
package refeed.lib.objects

# METADATA
# title: The objects of the input
# description: The input is one object or a List.
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
# description: Omits the namespace of cluster-scoped objects. A generateName keeps its trailing hyphen.
id(object) := concat("/", [part | some part in [object.kind, namespace(object), name(object)]; part != ""])

namespace(thing) := object.get(thing, ["metadata", "namespace"], "")

name(thing) := object.get(thing, ["metadata", "name"], object.get(thing, ["metadata", "generateName"], ""))

labels(thing) := object.get(thing, ["metadata", "labels"], {})

# METADATA
# title: A path in dotted notation
# description: Formats the keys and indices of `walk`, with list elements by index.
dotted(path) := trim_prefix(concat("", [step(key) | some key in path]), ".")

step(key) := sprintf(".%s", [key]) if is_string(key)

step(key) := sprintf("[%d]", [key]) if is_number(key)

# METADATA
# title: The path of a list element
# description: Uses the element's name, which does not change if elements are inserted, or else its index.
element(path, _, thing) := sprintf("%s[%s]", [path, thing.name]) if thing.name

element(path, index, thing) := sprintf("%s[%d]", [path, index]) if not thing.name
