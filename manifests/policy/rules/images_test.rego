package refeed.rules.images_test

import data.refeed.fixtures
import data.refeed.rules.images

names contains violation.rule if some violation in images.deny

with_image(image) := fixtures.changed(fixtures.deployment, "/spec/template/spec/containers/0/image", image)

stepped(image, platform) := fixtures.changed(
	fixtures.changed(fixtures.workflow_template, "/spec/templates/1/container/image", image),
	"/spec/templates/1/container/env",
	[{"name": "REFEED_PLATFORM", "value": json.marshal(platform)}],
)

digest := "@sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"

test_image_known_allows if {
	listed := stepped("{{inputs.parameters.trainer-image}}", {"trainers": {"linear": "docker.io/refeed/linear:1"}})
	count(names) == 0 with input as listed with data.policy as fixtures.policy
	choice := stepped("{{= a == 'b' ? 'docker.io/refeed/a:1' : 'docker.io/refeed/b:1' }}", {"trainers": {}})
	count(names) == 0 with input as choice with data.policy as fixtures.policy
}

test_image_known_denies if {
	every image in ["{{inputs.parameters.image}}", "{{= sprig.env('IMAGE') }}"] {
		unknown := stepped(image, {"trainers": {}})
		"image-known" in names with input as unknown with data.policy as fixtures.policy
	}
	listed := {"trainers": {"linear": "docker.io/refeed/linear:1"}}
	form := stepped("{{workflow.parameters.image}}", listed)
	names == {"image-known"} with input as form with data.policy as fixtures.policy
	elsewhere := fixtures.changed(
		stepped("{{inputs.parameters.image}}", listed),
		"/spec/templates/1/container/env/0/name",
		"OTHER",
	)
	names == {"image-known"} with input as elsewhere with data.policy as fixtures.policy
	none := fixtures.without(fixtures.deployment, "/spec/template/spec/containers/0/image")
	"image-known" in names with input as none with data.policy as fixtures.policy
}

test_image_pinned_allows if {
	every suffix in [":1.0", digest, concat("", [":1.0", digest])] {
		image := concat("", ["docker.io/refeed/split", suffix])
		count(names) == 0 with input as with_image(image) with data.policy as fixtures.policy
	}
}

test_image_pinned_denies if {
	every image in ["docker.io/refeed/split", "docker.io/refeed/split:latest", "localhost:5000/split", "a@sha256:12"] {
		"image-pinned" in names with input as with_image(image) with data.policy as fixtures.policy
	}
}

test_image_pinned_denies_one_outcome_of_conditional if {
	choice := stepped("{{= a == 'b' ? 'docker.io/refeed/a:latest' : 'docker.io/refeed/b:1' }}", {"trainers": {}})
	names == {"image-pinned"} with input as choice with data.policy as fixtures.policy
}

test_image_registry_allows if {
	exact := object.union(fixtures.policy, {"registries": {"ghcr.io/acme/tool": "one repository"}})
	count(names) == 0 with input as with_image("ghcr.io/acme/tool:1") with data.policy as exact
}

test_image_registry_allows_registries_of_installation_file if {
	none := {"registries": {}}
	count(names) == 0 with input as with_image("eu.example.com:5000/refeed/split:1") with data.policy as none
		with data.images as {"split": "eu.example.com:5000/refeed/split:1", "worker": null}
	count(names) == 0 with input as with_image("docker.io/acme/forest:2") with data.policy as none
		with data.trainers as {"forest": {"image": concat("", ["docker.io/acme/forest", digest])}}
}

test_image_registry_denies if {
	every image in ["docker.io/other/split:1", "docker.io/refeedx/split:1", "split:1", "refeed/split:1"] {
		"image-registry" in names with input as with_image(image) with data.policy as fixtures.policy
	}
}

test_image_registry_denies_trainer_in_platform if {
	platform := {"trainers": {"forest": "evil.example.com/forest:1"}, "dataflow": {"worker_image": "evil.example.com/w:1"}}
	listed := stepped("docker.io/refeed/check:1", platform)
	fields := {violation.field | some violation in images.deny} with input as listed with data.policy as fixtures.policy
	fields == {
		"spec.templates[train].container.env[REFEED_PLATFORM].trainers.forest",
		"spec.templates[train].container.env[REFEED_PLATFORM].dataflow.worker_image",
	}
}
