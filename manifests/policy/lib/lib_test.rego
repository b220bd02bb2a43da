package refeed.lib.lib_test

import data.refeed.fixtures
import data.refeed.lib.objects
import data.refeed.lib.pods
import data.refeed.lib.texts
import data.refeed.lib.workflows

test_id_has_kind_namespace_and_name if {
	objects.id(fixtures.deployment) == "Deployment/demo/server"
	objects.id(fixtures.namespace) == "Namespace/demo"
	objects.id({"kind": "Workflow", "metadata": {"generateName": "small-"}}) == "Workflow/small-"
}

test_list_items_are_objects if {
	list := {"apiVersion": "v1", "kind": "List", "items": [fixtures.deployment, fixtures.namespace]}
	count(objects.all) == 2 with input as list
	count(pods.containers) == 1 with input as list
}

test_plan_has_no_objects if count(objects.all) == 0 with input as {"resource_changes": []}

test_text_without_tags_is_its_only_outcome if texts.outcomes("docker.io/a:1") == ["docker.io/a:1"]

test_conditional_has_all_outcomes if {
	texts.outcomes(`{{= a.b == 'x' ? 'one' : a.b == 'y' ? 'two' : 'it\'s' }}`) == ["one", "two", "it's"]
}

test_escaped_backslash_is_unescaped if texts.outcomes(`{{= a == 'b' ? '\\n' : '' }}`) == [`\n`, ""]

test_other_expressions_are_undefined if {
	every text in ["{{inputs.parameters.image}}", "{{= 'a' + 'b' }}", "{{= f('a') }}", "{{= a == 'b' ? c : 'd' }}"] {
		not texts.outcomes(text)
	}
}

test_every_kind_with_containers_has_pods if {
	pod := {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": fixtures.deployment.spec.template.spec}
	{own.path | some own in pods.containers} == {"spec.containers[main]"} with input as pod
	job := {"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": fixtures.deployment.spec}}}
	paths := {own.path | some own in pods.containers} with input as job
	paths == {"spec.jobTemplate.spec.template.spec.containers[main]"}
}

test_init_containers_and_sidecars_are_containers if {
	with_init := fixtures.changed(fixtures.deployment, "/spec/template/spec/initContainers", [{"name": "first"}])
	"spec.template.spec.initContainers[first]" in {own.path | some own in pods.containers} with input as with_init
	with_sidecar := fixtures.changed(fixtures.workflow_template, "/spec/templates/1/sidecars", [{}])
	"spec.templates[train].sidecars[0]" in {own.path | some own in pods.containers} with input as with_sidecar
}

test_scripts_and_container_sets_are_containers if {
	script := fixtures.changed(fixtures.workflow_template, "/spec/templates/1", {"name": "s", "script": {}})
	{own.path | some own in pods.containers} == {"spec.templates[s].script"} with input as script
	grouped := {"name": "g", "containerSet": {"containers": [{"name": "a"}]}}
	group := fixtures.changed(fixtures.workflow_template, "/spec/templates/1", grouped)
	{own.path | some own in pods.containers} == {"spec.templates[g].containerSet.containers[a]"} with input as group
}

test_template_overrides_workflow if {
	own := fixtures.changed(fixtures.workflow_template, "/spec/templates/1/securityContext", {"runAsUser": 7})
	some pod in pods.all with input as own
	pod.spec.securityContext == {"runAsUser": 7}
	pod.spec.serviceAccountName == "refeed-train"
	pod.security == "spec.templates[train].securityContext"
}

test_template_defaults_are_merged if {
	with_defaults := fixtures.changed(fixtures.workflow_template, "/spec/templateDefaults", {"retryStrategy": {"limit": 99}})
	limits := {found.template.retryStrategy.limit | some found in workflows.templates} with input as with_defaults
	limits == {5, 99}
}

test_inline_templates_have_containers if {
	inline := fixtures.changed(fixtures.workflow_template, "/spec/templates/0/dag/tasks/0/inline", fixtures.step)
	paths := {own.path | some own in pods.containers} with input as inline
	paths == {"spec.templates[experiment].dag.tasks[split].inline.container", "spec.templates[train].container"}
}

test_steps_have_tasks if {
	steps := {"name": "s", "steps": [[{"name": "a"}], [{"name": "b"}]]}
	in_steps := fixtures.changed(fixtures.workflow_template, "/spec/templates/0", steps)
	paths := {path | some [_, path, _] in workflows.tasks} with input as in_steps
	paths == {"spec.templates[s].steps[0][a]", "spec.templates[s].steps[1][b]"}
}

test_all_outcomes_of_patch_are_parsed if {
	patch := `{{= lastRetry.exitCode == '101' ? '{"nodeSelector": {"a": "b"} }' : '{}' }}`
	patched := fixtures.changed(fixtures.workflow_template, "/spec/templates/1/podSpecPatch", patch)
	{reading.patch | some reading in pods.readings} == {{"nodeSelector": {"a": "b"}}, {}} with input as patched
	count(pods.unreadable) == 0 with input as patched
}
