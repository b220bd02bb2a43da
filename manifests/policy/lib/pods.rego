# METADATA
# title: Pods
# description: >
#   Represents pod specs and Argo templates in one form: {object, path, spec, security, host, containers, volumes,
#   patches}. `spec` is the pod spec. `security` and `host` are the paths of the security context and of the
#   parent of hostNetwork. `containers` are {path, container}, `volumes` are {path, volume}, and `patches`, which
#   Argo applies to the pod, are {path, text}.
package refeed.lib.pods

import data.refeed.lib.objects
import data.refeed.lib.texts
import data.refeed.lib.workflows

# Match any kind that has a list of containers, so that future kinds are included. Exclude schemas.
all contains pod if {
	some object in objects.all
	not object.kind in (workflows.kinds | {"CustomResourceDefinition"})
	walk(object, [keys, spec])
	is_array(spec.containers)
	path := objects.dotted(keys)
	pod := {
		"object": objects.id(object),
		"path": path,
		"spec": spec,
		"security": sprintf("%s.securityContext", [path]),
		"host": path,
		"volumes": volumes(path, spec),
		"containers": listed(path, spec, ["containers", "initContainers", "ephemeralContainers"]),
		"patches": [],
	}
}

all contains pod if {
	some found in workflows.templates
	containers := (single(found) | listed(found.path, found.template, ["initContainers", "sidecars"])) | grouped(found)
	count(containers) > 0
	pod := {
		"object": found.workflow.object,
		"path": found.path,
		"spec": effective(found.workflow.spec, found.template),
		"security": security(found),
		"host": found.workflow.path,
		"volumes": (volumes(found.workflow.path, found.workflow.spec) | volumes(found.path, found.template)),
		"containers": containers,
		"patches": patches(found),
	}
}

# METADATA
# title: Containers of pods
# description: The containers as {pod, path, container}.
containers contains object.union(own, {"pod": pod}) if {
	some pod in all
	some own in pod.containers
}

listed(path, spec, fields) := {{"path": own, "container": container} |
	some field in fields
	some index, container in object.get(spec, field, [])
	own := objects.element(sprintf("%s.%s", [path, field]), index, container)
}

volumes(path, spec) := {{"path": own, "volume": volume} |
	some index, volume in spec.volumes
	own := objects.element(sprintf("%s.volumes", [path]), index, volume)
}

single(found) := {{"path": sprintf("%s.%s", [found.path, field]), "container": found.template[field]} |
	some field in ["container", "script"]
	found.template[field]
}

grouped(found) := listed(
	sprintf("%s.containerSet", [found.path]),
	object.get(found.template, "containerSet", {}),
	["containers"],
)

# Argo uses the template's value of these fields, or else the workflow's. It does not merge them.
effective(workflow, template) := object.union(
	object.filter(workflow, inherited - object.keys(template)),
	object.filter(template, inherited),
)

inherited := {
	"automountServiceAccountToken",
	"hostNetwork",
	"nodeSelector",
	"securityContext",
	"serviceAccountName",
	"tolerations",
}

security(found) := sprintf("%s.securityContext", [found.path]) if found.template.securityContext

security(found) := sprintf("%s.securityContext", [found.workflow.path]) if not found.template.securityContext

patches(found) := [{"path": sprintf("%s.podSpecPatch", [place.path]), "text": place.from.podSpecPatch} |
	some place in [
		{"path": found.workflow.path, "from": found.workflow.spec},
		{"path": found.path, "from": found.template},
	]
	place.from.podSpecPatch
]

# METADATA
# title: Parsed pod patches
# description: The patches as {pod, path, patch}, one for each outcome of a text.
readings contains {"pod": pod, "path": patch.path, "patch": read} if {
	some pod in all
	some patch in pod.patches
	some text in outcomes(patch.text)
	read := yaml.unmarshal(text)
	is_object(read)
}

# METADATA
# title: Pod patches that cannot be parsed
# description: The patches as {pod, path}.
unreadable contains {"pod": pod, "path": patch.path} if {
	some pod in all
	some patch in pod.patches
	not readable(patch.text)
}

readable(text) if {
	every outcome in outcomes(text) {
		yaml.is_valid(outcome)
		is_object(yaml.unmarshal(outcome))
	}
}

# Tags inside the JSON only change values. Only a text that is a single expression has several outcomes.
outcomes(text) := [text] if not startswith(text, "{{")

outcomes(text) := texts.outcomes(text) if startswith(text, "{{")
