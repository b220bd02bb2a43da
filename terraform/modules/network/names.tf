# Names of Google's APIs lead to the addresses of private.googleapis.com, so that a firewall can tell
# them from the rest of the Internet.

resource "google_dns_managed_zone" "google" {
  for_each = var.google_names

  project     = var.gcp_project
  name        = "${var.name}-${replace(each.value, ".", "-")}"
  dns_name    = "${each.value}."
  description = "Google's APIs by their private addresses."
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
  # The zone of googleapis.com resolves private.googleapis.com itself, to which all its names lead.
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
