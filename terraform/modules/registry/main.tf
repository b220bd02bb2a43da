resource "google_artifact_registry_repository" "images" {
  project                = var.gcp_project
  location               = var.region
  repository_id          = var.name
  description            = "The images of Refeed's steps and trainers."
  format                 = "DOCKER"
  cleanup_policy_dry_run = false

  docker_config {
    immutable_tags = var.immutable_tags
  }

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "${var.untagged_days * 86400}s"
    }
  }

  cleanup_policies { # KEEP policies override DELETE policies
    id     = "keep-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.keep_versions
    }
  }

  vulnerability_scanning_config {
    enablement_config = "INHERITED" # the project's setting: scanning is billed per image
  }
}

resource "google_artifact_registry_repository" "mirrors" {
  for_each = var.mirrors

  project                = var.gcp_project
  location               = var.region
  repository_id          = "${var.name}-${each.key}"
  description            = "A pull-through cache of ${each.value}."
  format                 = "DOCKER"
  mode                   = "REMOTE_REPOSITORY"
  cleanup_policy_dry_run = false

  remote_repository_config {
    description = each.value

    docker_repository {
      custom_repository {
        uri = each.value
      }
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "${var.mirror_days * 86400}s"
    }
  }
}
