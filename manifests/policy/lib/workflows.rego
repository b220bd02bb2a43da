# METADATA
# title: Argo workflows
# description: Finds workflow specs and templates in all kinds that can contain them.
package refeed.lib.workflows

import data.refeed.lib.objects

kinds := {"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"}

# METADATA
# title: Workflow specs
# description: The specs as {object, path, spec}.
specs contains found("spec", object, object.spec) if {
	some object in objects.all
	object.kind in kinds
	object.kind != "CronWorkflow"
}

specs contains found("spec.workflowSpec", object, object.spec.workflowSpec) if {
	some object in objects.all
	object.kind == "CronWorkflow"
}

found(path, object, spec) := {"object": objects.id(object), "path": path, "spec": spec}

# METADATA
# title: Workflow specs that define their own templates
# description: Other specs reference a WorkflowTemplate, which is checked itself.
complete contains workflow if {
	some workflow in specs
	not workflow.spec.workflowTemplateRef
}

# METADATA
# title: Templates
# description: The templates as {workflow, path, template}, merged with the spec's templateDefaults.
templates contains merged(workflow, path, template) if {
	some workflow in specs
	some index, template in workflow.spec.templates
	path := objects.element(sprintf("%s.templates", [workflow.path]), index, template)
}

templates contains merged(workflow, path, task.inline) if {
	some [workflow, place, task] in tasks
	path := sprintf("%s.inline", [place])
}

merged(workflow, path, template) := {
	"workflow": workflow,
	"path": path,
	"template": object.union(object.get(workflow.spec, "templateDefaults", {}), template),
}

# METADATA
# title: Tasks of DAGs and steps
# description: The tasks as [workflow, path, task].
tasks contains [workflow, path, task] if {
	some workflow in specs
	some index, template in workflow.spec.templates
	some [place, task] in own_tasks(template)
	own := objects.element(sprintf("%s.templates", [workflow.path]), index, template)
	path := sprintf("%s.%s", [own, place])
}

# METADATA
# title: Tasks of one template
# description: The tasks as [path within the template, task].
own_tasks(template) := in_dag | in_steps if {
	in_dag := {[objects.element("dag.tasks", index, task), task] | some index, task in template.dag.tasks}
	in_steps := {[objects.element(sprintf("steps[%d]", [group]), index, task), task] |
		some group, together in template.steps
		some index, task in together
	}
}
