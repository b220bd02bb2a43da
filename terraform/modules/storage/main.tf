locals {
  day = 86400
}

resource "google_storage_bucket" "root" {
  for_each = var.projects

  project                     = var.gcp_project
  name                        = each.value
  location                    = var.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true # rights are IAM's alone: no object has its own
  public_access_prevention    = "enforced"
  force_destroy               = false # a bucket that holds something is not deleted
  labels                      = { refeed-project = each.key }

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * local.day
  }

  dynamic "encryption" {
    for_each = var.encryption_key[*]

    content {
      default_kms_key_name = encryption.value
    }
  }

  dynamic "lifecycle_rule" { # caches expire
    for_each = var.cache_days[*]

    content {
      action {
        type = "Delete"
      }

      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["${each.key}/cache/"]
        with_state     = "LIVE"
      }
    }
  }

  lifecycle_rule { # so does what killed jobs of Dataflow left
    action {
      type = "Delete"
    }

    condition {
      age            = var.work_days
      matches_prefix = ["${each.key}/datasets/work/"]
      with_state     = "LIVE"
    }
  }

  lifecycle_rule { # old versions of what can be made again need no month
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = 1
      matches_prefix             = ["${each.key}/cache/", "${each.key}/datasets/work/"]
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = var.noncurrent_days
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule { # parts of uploads that never ended are invisible, and cost
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }
}
