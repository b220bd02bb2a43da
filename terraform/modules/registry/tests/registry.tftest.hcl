mock_provider "google" {}

variables {
  gcp_project = "my-project"
  region      = "europe-west1"
}

run "defaults" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository.images.format == "DOCKER" && google_artifact_registry_repository.images.docker_config[0].immutable_tags
    error_message = "Tags do not move."
  }
  assert {
    condition = { for policy in google_artifact_registry_repository.images.cleanup_policies : policy.id => policy.action } == {
      "delete-untagged" = "DELETE", "keep-newest" = "KEEP"
    }
    error_message = "Clean-up policies."
  }
  assert {
    condition = anytrue([
      for policy in google_artifact_registry_repository.images.cleanup_policies :
      try(policy.condition[0].tag_state == "UNTAGGED" && policy.condition[0].older_than == "1209600s", false)
    ])
    error_message = "Only untagged images go, after 14 days."
  }
  assert {
    condition     = !google_artifact_registry_repository.images.cleanup_policy_dry_run
    error_message = "Clean-up is done."
  }
  assert {
    condition     = output.prefix == "europe-west1-docker.pkg.dev/my-project/refeed"
    error_message = "Prefix of images."
  }
  assert {
    condition     = length(google_artifact_registry_repository.mirrors) == 0 && output.repositories == ["refeed"]
    error_message = "No mirrors unless named."
  }
}

run "mirrors" {
  command = plan
  variables { mirrors = { quay = "https://quay.io" } }

  assert {
    condition = (
      google_artifact_registry_repository.mirrors["quay"].mode == "REMOTE_REPOSITORY"
      && google_artifact_registry_repository.mirrors["quay"].remote_repository_config[0].docker_repository[0].custom_repository[0].uri == "https://quay.io"
    )
    error_message = "A remote repository of quay.io."
  }
  assert {
    condition     = output.mirrors["quay.io"] == "europe-west1-docker.pkg.dev/my-project/refeed-quay"
    error_message = "What stands for quay.io."
  }
  assert {
    condition     = output.repositories == ["refeed", "refeed-quay"]
    error_message = "Nodes pull from both."
  }
}

run "tags_that_move" {
  command = plan
  variables { immutable_tags = false }

  assert {
    condition     = !google_artifact_registry_repository.images.docker_config[0].immutable_tags
    error_message = "Tags move."
  }
}

run "refuses_a_zone" {
  command = plan
  variables { region = "eu" }
  expect_failures = [var.region]
}

run "refuses_a_mirror_with_a_path" {
  command = plan
  variables { mirrors = { quay = "quay.io/argoproj" } }
  expect_failures = [var.mirrors]
}

run "refuses_to_delete_at_once" {
  command = plan
  variables {
    untagged_days = 0
    mirror_days   = 0
  }
  expect_failures = [var.untagged_days, var.mirror_days]
}

run "refuses_to_keep_one" {
  command = plan
  variables { keep_versions = 1 }
  expect_failures = [var.keep_versions]
}

run "refuses_a_name_in_capitals" {
  command = plan
  variables { name = "Refeed" }
  expect_failures = [var.name]
}
