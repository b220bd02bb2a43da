locals {
  day = 86400
}

resource "google_storage_bucket" "root" {
  for_each = var.projects

  project                     = var.gcp_project
  name                        = each.value
  location                    = var.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true # IAM only, no object ACLs
  public_access_prevention    = "enforced"
  force_destroy               = false # never delete a bucket that contains objects
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

  # No rule deletes live objects of <project>/cache/ by age: a segment holds results of many partitions and runs, and
  # `refeed gc` knows which of them are needed.

  lifecycle_rule { # delete files left by killed Dataflow jobs
    action {
      type = "Delete"
    }

    condition {
      age            = var.work_days
      matches_prefix = ["${each.key}/datasets/work/"]
      with_state     = "LIVE"
    }
  }

  lifecycle_rule { # delete noncurrent versions of cache and work files after a day: they can be recreated
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

  lifecycle_rule { # abort incomplete uploads: their parts are hidden but billed
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }
}
