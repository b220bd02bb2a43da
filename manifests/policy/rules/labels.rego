# METADATA
# title: Labels
# description: Labels identify the objects of a project and experiment in logs, metrics and costs.
package refeed.rules.labels

import data.refeed.lib.objects
import data.refeed.lib.violations
import data.refeed.lib.workflows

part_of := "app.kubernetes.io/part-of"

# METADATA
# title: label-part-of
# description: Identifies the software that an object belongs to, so that it is not deleted by mistake.
deny contains violations.violation("label-part-of", objects.id(thing), field, message) if {
	some thing in objects.all
	known := {name | some name, _ in data.policy.part_of}
	not object.get(objects.labels(thing), part_of, "") in known
	field := sprintf("metadata.labels[%s]", [part_of])
	message := sprintf("is not one of %v, so the object's owner is unknown. Set it (labels: in the kustomization).", [sort(known)])
}

# METADATA
# title: label-experiment
# description: Runs are listed, counted and billed by project and experiment.
deny contains violations.violation("label-experiment", objects.id(thing), field, message) if {
	some thing in objects.all
	thing.kind in workflows.kinds
	some key in experiment
	object.get(objects.labels(thing), key, "") == ""
	field := sprintf("metadata.labels[%s]", [key])
	message := "is missing, so Refeed cannot find the experiment. Do not edit the template: compile the spec again."
}

deny contains violations.violation("label-experiment", workflow.object, field, message) if {
	some workflow in workflows.complete
	some key in experiment
	object.get(workflow.spec, ["workflowMetadata", "labels", key], "") == ""
	field := sprintf("%s.workflowMetadata.labels[%s]", [workflow.path, key])
	message := "is missing, so Refeed cannot find the runs. Do not edit the template: compile the spec again."
}

# METADATA
# title: label-step
# description: Logs, metrics and costs are grouped by step and class.
deny contains violations.violation("label-step", found.workflow.object, field, message) if {
	some found in workflows.templates
	some kind in ["container", "script", "containerSet"]
	found.template[kind]
	some key in ["refeed/step", "refeed/class"]
	object.get(objects.labels(found.template), key, "") == ""
	field := sprintf("%s.metadata.labels[%s]", [found.path, key])
	message := "is missing, but logs and costs are grouped by it. Set it."
}

experiment := ["refeed/project", "refeed/experiment", "refeed/spec"]
