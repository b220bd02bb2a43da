# Resolve the names of Google APIs to private.googleapis.com, whose few addresses a firewall rule can allow.

resource "google_dns_managed_zone" "google" {
  for_each = var.google_names

  project     = var.gcp_project
  name        = "${var.name}-${replace(each.value, ".", "-")}"
  dns_name    = "${each.value}."
  description = "Resolves Google APIs to their private addresses."
  visibility  = "private"

  private_visibility_config {
    networks {
      network_url = google_compute_network.this.id
    }
  }
}

resource "google_dns_record_set" "addresses" {
  for_each = google_dns_managed_zone.google

  project      = var.gcp_project
  managed_zone = each.value.name
  # In the googleapis.com zone, all names are aliases of private.googleapis.com.
  name    = each.key == "googleapis.com" ? "private.${each.value.dns_name}" : each.value.dns_name
  type    = "A"
  ttl     = 300
  rrdatas = local.google_hosts
}

resource "google_dns_record_set" "names" {
  for_each = google_dns_managed_zone.google

  project      = var.gcp_project
  managed_zone = each.value.name
  name         = "*.${each.value.dns_name}"
  type         = "CNAME"
  ttl          = 300
  rrdatas      = [google_dns_record_set.addresses[each.key].name]
}
