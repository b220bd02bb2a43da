mock_provider "google" {}

variables {
  gcp_project = "my-project"
  region      = "europe-west1"
}

run "defaults" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository.images.format == "DOCKER" && google_artifact_registry_repository.images.docker_config[0].immutable_tags
    error_message = "Tags must be immutable."
  }
  assert {
    condition = { for policy in google_artifact_registry_repository.images.cleanup_policies : policy.id => policy.action } == {
      "delete-untagged" = "DELETE", "keep-newest" = "KEEP"
    }
    error_message = "The repository must have the cleanup policies."
  }
  assert {
    condition = anytrue([
      for policy in google_artifact_registry_repository.images.cleanup_policies :
      try(policy.condition[0].tag_state == "UNTAGGED" && policy.condition[0].older_than == "1209600s", false)
    ])
    error_message = "Untagged images must be deleted after 14 days."
  }
  assert {
    condition     = !google_artifact_registry_repository.images.cleanup_policy_dry_run
    error_message = "Cleanup must not be a dry run."
  }
  assert {
    condition     = output.prefix == "europe-west1-docker.pkg.dev/my-project/refeed"
    error_message = "The output must be the prefix of image names."
  }
  assert {
    condition     = length(google_artifact_registry_repository.mirrors) == 0 && output.repositories == ["refeed"]
    error_message = "There must be no mirrors by default."
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
    error_message = "The mirror must be a remote repository of quay.io."
  }
  assert {
    condition     = output.mirrors["quay.io"] == "europe-west1-docker.pkg.dev/my-project/refeed-quay"
    error_message = "The output must map quay.io to the mirror."
  }
  assert {
    condition     = output.repositories == ["refeed", "refeed-quay"]
    error_message = "The output must contain both repositories."
  }
}

run "mutable_tags" {
  command = plan
  variables { immutable_tags = false }

  assert {
    condition     = !google_artifact_registry_repository.images.docker_config[0].immutable_tags
    error_message = "Tags must be mutable."
  }
}

run "rejects_multi_region" {
  command = plan
  variables { region = "eu" }
  expect_failures = [var.region]
}

run "rejects_mirror_with_path" {
  command = plan
  variables { mirrors = { quay = "quay.io/argoproj" } }
  expect_failures = [var.mirrors]
}

run "rejects_immediate_deletion" {
  command = plan
  variables {
    untagged_days = 0
    mirror_days   = 0
  }
  expect_failures = [var.untagged_days, var.mirror_days]
}

run "rejects_single_version" {
  command = plan
  variables { keep_versions = 1 }
  expect_failures = [var.keep_versions]
}

run "rejects_upper_case_name" {
  command = plan
  variables { name = "Refeed" }
  expect_failures = [var.name]
}
