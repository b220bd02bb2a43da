resource "google_bigquery_dataset" "staging" {
  for_each = var.projects

  project                         = var.gcp_project
  dataset_id                      = each.value
  friendly_name                   = "Refeed ${each.key}: staging"
  description                     = "Results of queries and views of the Refeed project ${each.key}, deleted after ${var.expiration_hours} hours."
  location                        = var.location
  default_table_expiration_ms     = var.expiration_hours * 3600 * 1000
  default_partition_expiration_ms = var.expiration_hours * 3600 * 1000 # partitioned tables ignore the setting above
  max_time_travel_hours           = 48                                 # the minimum: deleted tables can be recreated
  delete_contents_on_destroy      = true                               # all of its contents are temporary
  labels                          = { refeed-project = each.key }

  dynamic "default_encryption_configuration" {
    for_each = var.encryption_key[*]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}
