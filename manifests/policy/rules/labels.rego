# METADATA
# title: Labels
# description: By them people, quotas, bills and Refeed itself find what belongs together.
package refeed.rules.labels

import data.refeed.lib.objects
import data.refeed.lib.refusals
import data.refeed.lib.workflows

part_of := "app.kubernetes.io/part-of"

# METADATA
# title: label-part-of
# description: Says which software an object belongs to, so that nobody removes a part of it.
refuse contains refusals.refusal("label-part-of", objects.id(thing), field, says) if {
	some thing in objects.all
	known := {name | some name, _ in data.policy.part_of}
	not object.get(objects.labels(thing), part_of, "") in known
	field := sprintf("metadata.labels[%s]", [part_of])
	says := sprintf("is none of %v: nobody would know what it belongs to; set it (labels: in the kustomization)", [sort(known)])
}

# METADATA
# title: label-experiment
# description: Runs are found, counted and paid for by project and experiment.
refuse contains refusals.refusal("label-experiment", objects.id(thing), field, says) if {
	some thing in objects.all
	thing.kind in workflows.kinds
	some key in experiment
	object.get(objects.labels(thing), key, "") == ""
	field := sprintf("metadata.labels[%s]", [key])
	says := "is missing: by it the experiment is found; compile the spec again rather than write it by hand"
}

refuse contains refusals.refusal("label-experiment", workflow.object, field, says) if {
	some workflow in workflows.complete
	some key in experiment
	object.get(workflow.spec, ["workflowMetadata", "labels", key], "") == ""
	field := sprintf("%s.workflowMetadata.labels[%s]", [workflow.path, key])
	says := "is missing: by it the runs are found; compile the spec again rather than write it by hand"
}

# METADATA
# title: label-step
# description: Pods are told apart by step and class, in logs, in metrics and on the bill.
refuse contains refusals.refusal("label-step", found.workflow.object, field, says) if {
	some found in workflows.templates
	some kind in ["container", "script", "containerSet"]
	found.template[kind]
	some key in ["refeed/step", "refeed/class"]
	object.get(objects.labels(found.template), key, "") == ""
	field := sprintf("%s.metadata.labels[%s]", [found.path, key])
	says := "is missing: by it pods are told apart in logs and on the bill; set it"
}

experiment := ["refeed/project", "refeed/experiment", "refeed/spec"]
